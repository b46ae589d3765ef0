"""`anima avatar`: creates avatars from photos, lists and deletes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import typer

from anima.avatar.v1 import CreateAvatarConfig
from anima.common.v1 import VideoFormat
from cli.console import console, fail, listing, print_table, progress, results
from services.avatar.creation import MAX_PHOTO_BYTES, check_order
from services.avatar.engine import AvatarInfo, AvatarKind, Creation
from services.avatar.engines.painted import PaintedFaces
from services.avatar.photo.inspection import MIN_FACE_PX
from services.avatar.settings import AvatarSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import AnimaError, FailedPrecondition
from services.runtime.process.private_files import write_private

app = typer.Typer(
    help="Create avatars from photos, list, show and delete them.", no_args_is_help=True
)


def _engine() -> PaintedFaces:
    """Returns the embedded engine with its avatars. Running services see its changes."""
    engine = PaintedFaces(AvatarSettings.from_environment())
    try:
        engine.load()
    except SettingsError as error:
        fail(str(error))
    return engine


def _names(incomplete: str) -> list[str]:
    return [info.name for info in _engine().avatars() if info.name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(autocompletion=_names, help="The avatar's name.")]


@app.command("create")
def create(
    photo: Annotated[
        Path,
        typer.Argument(
            help=f"JPEG, PNG or WebP; one face from the front, at least {MIN_FACE_PX} pixels wide."
        ),
    ],
    name: Annotated[str, typer.Option(help="Lower-case letters, digits, - and _.")],
    consent: Annotated[
        str,
        typer.Option(help="Why the picture of this person may be used; stored with the avatar."),
    ],
    display_name: Annotated[str, typer.Option(help="The name shown to users.")] = "",
    licence: Annotated[str, typer.Option(help="SPDX expression of the photo's licence.")] = "",
    size: Annotated[str, typer.Option(help="The size of the video, such as 720x1280.")] = "",
    replace: Annotated[bool, typer.Option(help="Replace an avatar of the same name.")] = False,
    preview: Annotated[
        Path | None, typer.Option(help="Write the first frame here, as PNG or JPEG.")
    ] = None,
) -> None:
    """Create an avatar from a photo."""
    width_px, height_px = _size(size)
    config = CreateAvatarConfig(
        name=name,
        display_name=display_name,
        consent=consent,
        licence=licence,
        video=VideoFormat(width_px=width_px, height_px=height_px),
        replace=replace,
    )
    creation = _create(_read(photo), config)
    for warning in creation.warnings:
        console.print(f"Note: {warning.message}", markup=False)
    if preview is not None:
        _write(creation, preview)
    results.print(creation.avatar.name)
    command = f"anima ask --local --avatar {name} 'Who are you?' --out answer.mp4"
    console.print(f"Try it: {command}", markup=False)


@app.command("list")
def list_() -> None:
    """List the avatars."""
    table = listing("name", "shown as", "kind", "video", "licence", "made")
    for info in _engine().avatars():
        video = f"{info.video.width_px} x {info.video.height_px}"
        made = f"{info.created.astimezone():%Y-%m-%d %H:%M}" if info.created else ""
        row = (info.name, info.display_name, info.kind.value, video, info.licence, made)
        table.add_row(*row)
    print_table(table)


@app.command("show")
def show(name: Name) -> None:
    """Show an avatar: its licence and why its picture may be used."""
    info = _find(_engine(), name)
    lines = {
        "name": info.name,
        "shown as": info.display_name,
        "kind": info.kind.value,
        "video": f"{info.video.width_px} x {info.video.height_px}, {info.video.frame_rate_hz} fps",
        "licence": info.licence,
        "consent": info.consent,
    }
    if info.kind is AvatarKind.PHOTO and info.created:
        lines["made"] = f"{info.created.astimezone():%Y-%m-%d %H:%M}"
    for label, value in lines.items():
        results.print(f"{label + ':':10} {value}", markup=False)


@app.command("delete")
def delete(name: Name) -> None:
    """Delete an avatar that was created from a photo, with all its files."""
    engine = _engine()
    _find(engine, name)
    try:
        engine.delete_avatar(name)
    except AnimaError as error:
        fail(error.message)
    console.print(f"{name} deleted.", markup=False)


def _find(engine: PaintedFaces, name: str) -> AvatarInfo:
    avatars = {info.name: info for info in engine.avatars()}
    if name not in avatars:
        fail(f"unknown avatar {name}.", remedy=f"Known: {', '.join(avatars)}.")
    return avatars[name]


def _create(photo: bytes, config: CreateAvatarConfig) -> Creation:
    try:
        order = check_order(config)
        engine = _engine()
        with progress() as display:
            task = display.add_task("starting", total=100)
            return engine.create_avatar(
                photo,
                order,
                lambda step, percent: display.update(task, description=step, completed=percent),
            )
    except FailedPrecondition as error:
        remedy = "Use --replace to replace it." if error.reason == "NAME_TAKEN" else ""
        fail(error.message, remedy=remedy)
    except AnimaError as error:
        fail(error.message)


def _read(photo: Path) -> bytes:
    try:
        if photo.stat().st_size > MAX_PHOTO_BYTES:
            fail(f"{photo}: larger than {MAX_PHOTO_BYTES >> 20} MiB.")
        return photo.read_bytes()
    except OSError as error:
        fail(f"{photo} cannot be read: {error.strerror}.")


def _size(text: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        fail(f"--size: {text} is not a size such as 720x1280.")
    return int(width), int(height)


def _write(creation: Creation, path: Path) -> None:
    try:
        done, coded = cv2.imencode(path.suffix or ".png", creation.preview)
        if done:
            write_private(path, coded.tobytes())
    except (cv2.error, OSError) as error:
        fail(f"{path} cannot be written: {error}")
