"""The networks that a translator can hold, by the name that its weights file gives them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .additive import AdditiveNetwork, Sizes
from .blind import BlindNetwork
from .luong import LuongNetwork, LuongSizes
from .network import Network
from .transformer import TransformerNetwork, TransformerSizes

# name: (network, its sizes)
NETWORKS: dict[str, tuple[type[Network[Any, Any]], type[Any]]] = {
    "additive": (AdditiveNetwork, Sizes),
    "additive, context zeroed": (BlindNetwork, Sizes),
    "luong": (LuongNetwork, LuongSizes),
    "transformer": (TransformerNetwork, TransformerSizes),
}


def describe(network: Network[Any, Any]) -> dict[str, Any]:
    """Return the name and the sizes of a network, as `build` takes them.

    Raises:
        TypeError: the network is not one of `NETWORKS`.
    """
    for name, (network_type, _) in NETWORKS.items():
        if type(network) is network_type:
            return {"network": name, "sizes": asdict(network.sizes)}
    raise TypeError(f"a {type(network).__name__} came: expected one of {', '.join(NETWORKS)}.")


def build(name: str, *, sizes: dict[str, Any]) -> Network[Any, Any]:
    """Return a new network of that name and of those sizes.

    Raises:
        ValueError: there is no network of that name.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}: expected one of {', '.join(NETWORKS)}.")
    network_type, sizes_type = NETWORKS[name]
    return network_type(sizes_type(**sizes))
