"""A report as PDF. May be called in any thread; makes a QGuiApplication where there is none."""

from __future__ import annotations

import os
import sys

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF
from PySide6.QtGui import QGuiApplication, QPageLayout, QPageSize, QPdfWriter, QTextDocument


class _Paper(QTextDocument):
    """Loads nothing: what a node said must not make this workstation open a file or an address."""

    def loadResource(self, _kind: int, _name: object) -> object:
        return b""


def pdf_of(report: str) -> bytes:
    """The pages of an HTML report on A4."""
    application = QGuiApplication.instance()
    if application is None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        application = QGuiApplication(sys.argv[:1])
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    page, margins = QPageSize(QPageSize.PageSizeId.A4), QMarginsF(15, 15, 15, 15)
    writer.setPageLayout(QPageLayout(page, QPageLayout.Orientation.Portrait, margins))
    writer.setResolution(96)
    writer.setCreator("Cardkeeper")
    document = _Paper()
    document.setHtml(report)
    document.setPageSize(writer.pageLayout().paintRectPixels(writer.resolution()).size().toSizeF())
    document.print_(writer)
    buffer.close()
    return bytes(buffer.data().data())
