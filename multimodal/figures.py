"""Every plot of the chapter: each function returns a matplotlib figure that `Lesson.save` writes."""

import math
import warnings
from collections.abc import Callable

import matplotlib

from . import words
from .terminal import in_notebook

if not in_notebook():
    matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first
import numpy as np  # noqa: E402
import seaborn as sns  # noqa: E402
from matplotlib import font_manager  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.offsetbox import AnnotationBbox, OffsetImage  # noqa: E402
from PIL import Image  # noqa: E402
from wcwidth import wcswidth  # noqa: E402

sns.set_theme(style="white", palette="colorblind", rc={
    "figure.dpi": 100, "font.size": 10, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9,
    "legend.fontsize": 9, "figure.titlesize": 12, "figure.titleweight": "bold"})
plt.rcParams["figure.max_open_warning"] = 0
plt.rcParams["text.parse_math"] = False  # a text with two dollar signs is no formula
# The usual font lacks Chinese characters, which file names and queries may have: fonts that have them stand by. Where
# there is none, a figure shows boxes, and a warning for each of them would help nobody.
warnings.filterwarnings("ignore", message="Glyph .* missing from font")
CHINESE_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB",
                 "Microsoft YaHei", "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback")
plt.rcParams["font.family"] = ["sans-serif", *sorted(set(font_manager.get_font_names()) & set(CHINESE_FONTS))]
COLOURS = sns.color_palette("colorblind")


def wrap(text: str, width: int, most: int = 6) -> str:
    """A text in lines of at most `width` columns, cut off with an ellipsis after `most` lines."""
    return "\n".join(words.wrap(text, width, most))


def give_title(figure: Figure, text: str) -> None:
    """The finding, over the whole width of the figure, in as many lines as it takes."""
    figure.suptitle(wrap(text, int(figure.get_figwidth() * 10)), x=0.01, ha="left")


def thumbnail(image: Image.Image, size: int = 160) -> np.ndarray:
    """A square RGB array of `size` pixels, cut from the middle of a picture."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)).resize((size, size)))


def place_thumbnails(axes, images: list[Image.Image], positions: list[tuple[float, float]], inches: float,
                     alignment: tuple[float, float]) -> None:
    """Put pictures into a plot at the given points, each `inches` wide; alignment: which of its points that is."""
    for image, position in zip(images, positions):
        picture = OffsetImage(thumbnail(image), zoom=inches * 72 / 160, resample=True)
        axes.add_artist(AnnotationBbox(picture, position, frameon=False, pad=0,
                                       box_alignment=alignment, annotation_clip=False))


def picture_grid(images: list[Image.Image], captions: list[str], title: str, columns: int = 4,
                 edge_colours: list | None = None, width: int = 26) -> Figure:
    """Pictures in rows, each with a caption above; an edge may mark each, in a colour of its own."""
    rows = math.ceil(len(images) / columns)
    lines = max(len(words.wrap(c, width)) for c in captions) if captions else 0
    figure, grid = plt.subplots(rows, columns, figsize=(2.35 * columns, (2.3 + 0.19 * lines) * rows + 0.5),
                                layout="constrained", squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (axes, image, caption) in enumerate(zip(grid.flat, images, captions)):
        axes.imshow(thumbnail(image, 320))
        axes.set_title(wrap(caption, width), fontsize=9, fontweight="normal", loc="center")
        if edge_colours:
            axes.set_axis_on()
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(edgecolor=edge_colours[i], linewidth=4)
    give_title(figure, title)
    return figure


def similarity_heatmap(similarity: np.ndarray, images: list[Image.Image], texts: list[str], title: str,
                       diagonal: bool = True, label: str = "cosine similarity") -> Figure:
    """Pictures down the side, texts along the bottom, one number in every cell.

    Args:
        similarity: (pictures, texts).
        diagonal: Frame the cells where picture i meets text i.
        label: What the numbers are.
    """
    rows, columns = similarity.shape
    side = 0.62
    figure, axes = plt.subplots(figsize=(side * columns + 3.2, side * rows + 3.0), layout="constrained")
    sns.heatmap(similarity, ax=axes, cmap="viridis", annot=True, fmt=".2f", annot_kws={"fontsize": 8},
                square=True, linewidths=0.5, cbar_kws={"label": label, "shrink": 0.7})
    axes.set_xticklabels([wrap(t, 24) for t in texts], rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks([])
    place_thumbnails(axes, images, [(-0.08, i + 0.5) for i in range(rows)], inches=0.92 * side, alignment=(1, 0.5))
    # Room for the thumbnails, which the layout does not know of.
    axes.set_ylabel("pictures", labelpad=side * 80)
    if diagonal:
        for i in range(min(rows, columns)):
            axes.add_patch(plt.Rectangle((i, i), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5))
    give_title(figure, title)
    return figure


def confusion_matrix(answers: list[int], said: list[int], classes: list[str], title: str) -> Figure:
    """How often each class (down) was taken for each class (across): numbers of `classes`, one of each a picture."""
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (answers, said), 1)
    figure, axes = plt.subplots(figsize=(0.38 * len(classes) + 2.4, 0.32 * len(classes) + 2.2), layout="constrained")
    sns.heatmap(counts, ax=axes, cmap="Blues", annot=np.where(counts, counts.astype(str), ""), fmt="", linewidths=0.5,
                linecolor="0.9", cbar=False, xticklabels=classes, yticklabels=classes)
    axes.set_xticklabels(classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticklabels(classes, rotation=0)
    axes.set(xlabel="said", ylabel="true")
    give_title(figure, title)
    return figure


def overlay(image: Image.Image, heat: np.ndarray) -> np.ndarray:
    """A picture with a map laid over it, bright where the map is high: RGB floats (320, 320, 3).

    Args:
        heat: (rows, columns) of any scale, one number a patch.
    """
    heat = (heat - heat.min()) / max(float(heat.max() - heat.min()), 1e-12)
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize((320, 320), Image.Resampling.BICUBIC))
    smooth = np.clip(smooth, 0, 1)[..., None]
    picture = thumbnail(image, 320) / 255
    return picture * (0.35 + 0.4 * smooth) + plt.get_cmap("inferno")(smooth[..., 0])[..., :3] * 0.25 * smooth \
        + picture * 0.25 * smooth


def lines(x: list, series: dict[str, list[float]], title: str, xlabel: str, ylabel: str, logarithmic: bool = False,
          reference: tuple[str, float] | None = None) -> Figure:
    """Curves with markers over the same x values; a reference is a dashed horizontal line with a name."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for (name, values), marker, colour in zip(series.items(), "osD^v", COLOURS):
        axes.plot(x, values, marker=marker, color=colour, label=name)
    if reference:
        axes.axhline(reference[1], linestyle="--", color="0.4", label=reference[0])
    if logarithmic:
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(value) for value in x])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    give_title(figure, title)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    if len(series) > 1 or reference:
        axes.legend(frameon=False)
    sns.despine(figure)
    return figure


def patch_view(images: list[Image.Image], pixel_values: np.ndarray, patch_size: int, image_processor) -> Figure:
    """Pictures beside what is left of them after the processor, with the grid of patches.

    Args:
        pixel_values: (pictures, 3, height, width), normalised.
    """
    figure, grid = plt.subplots(2, len(images), figsize=(2.8 * len(images), 5.9), layout="constrained", squeeze=False)
    mean, deviation = (np.array(v)[:, None, None] for v in (image_processor.image_mean, image_processor.image_std))
    for column, image, pixels in zip(grid.T, images, pixel_values):
        column[0].imshow(image)
        column[0].set_title(f"{image.width} x {image.height} pixels", fontsize=9, fontweight="normal", loc="center")
        column[1].imshow(np.clip(pixels * deviation + mean, 0, 1).transpose(1, 2, 0))
        height, width = pixels.shape[1:]
        column[1].set_title(f"{width} x {height} pixels, {(width // patch_size) * (height // patch_size)} patches",
                            fontsize=9, fontweight="normal", loc="center")
        for position in range(patch_size, width, patch_size):
            column[1].axvline(position - 0.5, color="white", linewidth=0.7)
            column[1].axhline(position - 0.5, color="white", linewidth=0.7)
    for axes in grid.flat:
        axes.set_axis_off()
    give_title(figure, "Above what you see, below what the model sees")
    return figure


def two_clouds(image_embeddings: np.ndarray, text_embeddings: np.ndarray, title: str) -> Figure:
    """Both kinds of embeddings (N, dimensions), seen so that the gap between them runs from left to right.

    The first axis points from the centre of the texts to that of the pictures; the second is the direction at a right
    angle to it in which the embeddings vary most. Lines join the pairs.
    """
    both = np.concatenate([image_embeddings, text_embeddings])
    centred = both - both.mean(axis=0)
    across = image_embeddings.mean(axis=0) - text_embeddings.mean(axis=0)
    across /= np.linalg.norm(across)
    rest = centred - np.outer(centred @ across, across)
    points = np.stack([centred @ across, rest @ np.linalg.svd(rest, full_matrices=False)[2][0]], axis=1)
    count = len(image_embeddings)
    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    for image, text in zip(points[:count], points[count:]):
        axes.plot(*zip(image, text), color="0.8", linewidth=0.8, zorder=0)
    axes.scatter(*points[:count].T, color=COLOURS[0], marker="o", label="pictures")
    axes.scatter(*points[count:].T, color=COLOURS[1], marker="^", label="texts")
    axes.set(xlabel="from the centre of the texts to the centre of the pictures", ylabel="main variation")
    give_title(figure, title)
    axes.legend(frameon=False)
    sns.despine(figure)
    return figure


def search_results(queries: list[tuple[Image.Image | None, str]], results: list[list[tuple[Image.Image, str]]],
                   title: str) -> Figure:
    """One row a query: on the left the query (a picture, a text or both), then what it found, best first.

    Args:
        results: For each query the pictures found, each with the words to stand above it.
    """
    columns = 1 + max(len(row) for row in results)
    figure, grid = plt.subplots(len(queries), columns, figsize=(1.9 * columns, 2.2 * len(queries) + 0.5),
                                layout="constrained", squeeze=False)
    for row, (image, text), found in zip(grid, queries, results):
        for axes in row:
            axes.set(xticks=[], yticks=[])
            sns.despine(ax=axes, left=True, bottom=True)
        if image is None:
            row[0].text(0.5, 0.5, wrap(text, 18), ha="center", va="center", fontsize=11)
            row[0].set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        else:
            row[0].imshow(thumbnail(image, 320))
            row[0].set_title(wrap(text, 24), fontsize=9)
        for spine in row[0].spines.values():
            spine.set(visible=True, edgecolor=COLOURS[1], linewidth=2.5)
        for axes, (picture, above) in zip(row[1:], found):
            axes.imshow(thumbnail(picture, 320))
            axes.set_title(wrap(above, 24), fontsize=9)
    give_title(figure, title)
    return figure


def picture_notes(images: list[Image.Image], notes: list[list[tuple[str, str]]], title: str,
                  columns: int = 2) -> Figure:
    """Pictures, each with lines of text at its right: pairs of a name, as "greedy", and what it says."""
    picture, text_width, line_height, letter = 1.7, 6.3 if columns == 1 else 3.8, 0.19, 0.076  # in inches
    whole_width = int(text_width / letter)  # in letters
    name_width = min(max(wcswidth(name) for lines_of_one in notes for name, _ in lines_of_one) + 2, whole_width // 2)
    name_width = max(name_width, 8)
    wrapped = [[[words.wrap(said, width, most=10) or [""] for said, width in (
        (name, name_width - 2), (text, whole_width - name_width))] for name, text in lines_of_one]
        for lines_of_one in notes]
    deepest = max(sum(max(map(len, pair)) for pair in lines_of_one) for lines_of_one in wrapped)
    rows, height = math.ceil(len(images) / columns), max(picture, line_height * deepest) + 0.15
    figure, grid = plt.subplots(rows, 2 * columns, figsize=((picture + text_width) * columns, height * rows + 0.4),
                                layout="constrained", squeeze=False, width_ratios=(picture, text_width) * columns)
    for axes in grid.flat:
        axes.set_axis_off()
    for (left, right), image, lines_of_one in zip(grid.reshape(-1, 2), images, wrapped):
        left.imshow(thumbnail(image, 320))
        left.set_anchor("N")
        right.set(xlim=(0, text_width / letter), ylim=(height / line_height, 0))
        line = 0.0
        for name, text in lines_of_one:
            right.text(0, line, "\n".join(name), va="top", fontsize=9, color="0.4")
            right.text(name_width, line, "\n".join(text), va="top", fontsize=9)
            line += max(len(name), len(text))
    give_title(figure, title)
    return figure


# Bars. Their data has one shape everywhere: {series: {label: value}}; a value is a number or a `metrics.Share`.


def bars(series: dict[str, dict[str, float]], title: str, xlabel: str, number_format: str = "{:.2f}",
         baseline: tuple[str, float] | None = None) -> Figure:
    """Horizontal bars with their numbers, for every label one of each series.

    Args:
        baseline: A name and a value, drawn as a dashed line: ("chance", 0.5).
    """
    labels = list(next(iter(series.values())))
    figure, axes = plt.subplots(figsize=(8, (0.1 + 0.32 * len(series)) * len(labels) + 1.6), layout="constrained")
    _draw_bars(axes, series, number_format.format)
    axes.set_yticks(range(len(labels)), [wrap(label, 44) for label in labels])
    axes.invert_yaxis()
    axes.set_xlabel(xlabel)
    if baseline:
        axes.axvline(baseline[1], linestyle="--", color="0.3", label=baseline[0])
    if len(series) > 1 or baseline:
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    give_title(figure, title)
    sns.despine(figure)
    return figure


def panels(series: dict[str, dict[str, float]], title: str, formats: dict[str, str]) -> Figure:
    """The same labels in panels, two in a row: each series has its own, with its own unit.

    Args:
        series: {axis label: {label: value}}.
        formats: How each series writes its numbers: {axis label: "{:.1f}"}.
    """
    labels = list(next(iter(series.values())))
    rows = math.ceil(len(series) / 2)
    figure, grid = plt.subplots(rows, 2, figsize=(8.5, (0.42 * len(labels) + 0.7) * rows + 0.6), layout="constrained",
                                sharey=True, squeeze=False)
    for axes in grid.flat[len(series):]:
        axes.set_axis_off()
    for axes, (xlabel, values) in zip(grid.flat, series.items()):
        _draw_bars(axes, {xlabel: values}, formats[xlabel].format)
        axes.set_yticks(range(len(labels)), [wrap(label, 30) for label in labels])
        axes.set_xlabel(xlabel)
    grid[0, 0].invert_yaxis()
    give_title(figure, title)
    sns.despine(figure)
    return figure


def picture_and_bars(image: Image.Image, values: dict[str, float], title: str) -> Figure:
    """A picture on the left, horizontal bars of probability on the right, the first one marked.

    A softmax never reaches 0% or 100%, so 99.95% is written as 99.9%.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained", width_ratios=(1, 2))
    left.imshow(thumbnail(image, 320))
    left.set_axis_off()
    _draw_bars(right, {"probability": values}, lambda value: f"{min(max(value, 0.001), 0.999):.1%}")
    right.patches[0].set_facecolor(COLOURS[1])
    right.set_yticks(range(len(values)), [wrap(label, 34) for label in values])
    right.invert_yaxis()
    right.set(xlabel="probability", xlim=(0, 1.12))
    sns.despine(ax=right)
    give_title(figure, title)
    return figure


def _draw_bars(axes, series: dict[str, dict[str, float]], write: Callable[[float], str]) -> None:
    """Bars of every series, label by label, with their numbers and the intervals of `metrics.Share`s."""
    thickness = 0.8 / len(series)
    for i, ((name, values), colour) in enumerate(zip(series.items(), COLOURS)):
        places = [row + (i - (len(series) - 1) / 2) * thickness for row in range(len(values))]
        numbers = list(values.values())
        intervals = [(value - getattr(value, "low", value), getattr(value, "high", value) - value) for value in numbers]
        drawn = axes.barh(places, numbers, thickness, color=colour, label=name,
                          xerr=np.array(intervals).T if np.any(intervals) else None, ecolor="0.35", capsize=2)
        axes.bar_label(drawn, list(map(write, numbers)), padding=4, fontsize=9)
    axes.margins(x=0.14)
