"""The framework diagram as plain data: what a network is made of around the places where it attends."""

from __future__ import annotations

from attnwidget.architecture.data import Architecture, Edge, EdgeKind, Module, Node, NodeKind
from attnwidget.architecture.placing import architecture_of

__all__ = ["Architecture", "Edge", "EdgeKind", "Module", "Node", "NodeKind", "architecture_of"]
