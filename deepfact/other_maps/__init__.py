"""Mirror maps of other starts and parametrisations than equal factors, one a file."""

from deepfact.other_maps.hyperbolic_sine import HyperbolicSineMap
from deepfact.other_maps.power import PowerMap
from deepfact.other_maps.sine import SineMap
from deepfact.other_maps.two_layer import TwoLayerMap

__all__ = ["HyperbolicSineMap", "PowerMap", "SineMap", "TwoLayerMap"]
