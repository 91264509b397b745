"""The light of the scenes, how surfaces reflect it, and how the camera exposes it.

The model: one directional light, a little ambient light, surfaces that reflect matte (Lambert) under a thin clear
coat (microfacets), and a tone curve that keeps highlights from becoming white. ``python -m tools.camera fit`` fits
the direction and the strength of the light to pictures; the other values are those of common materials.
"""

from dataclasses import dataclass

import numpy as np

from data_utils.simulator.raycasting import Floats


@dataclass(frozen=True)
class Light:
    """A directional light and an exposure. The defaults are a fit to pictures of the original (docs/simulated.md).

    Attributes:
        phase_deg: Angle at the object between the directions to the light and to the camera: 0 is light from
            behind the camera, 90 from the side, 180 from behind the object.
        elevation_deg: Angle of the light above the horizontal, as the camera sees it; the light is on the left.
        strength: Radiance of a white matte face that faces the light.
        ambient: Light on every face, as a share of the light.
        coat: Share of the light that the coat reflects at right angles; 0.04 is that of plastic and glass.
        roughness: Of the coat, above 0 and at most 1.
    """

    phase_deg: float = 88.1
    elevation_deg: float = 42.6
    strength: float = 7.7
    ambient: float = 0.003
    coat: float = 0.04
    roughness: float = 0.5

    @property
    def direction(self) -> Floats:
        """Unit vector (3,) from every object to the light, in the frame of ``scenes``."""
        phase, elevation = np.deg2rad(self.phase_deg), np.deg2rad(self.elevation_deg)
        across = np.array([-np.cos(elevation), 0.0, np.sin(elevation)])
        direction: Floats = np.cos(phase) * np.array([0.0, -1.0, 0.0]) + np.sin(phase) * across
        return direction

    def reflected(self, to_light: Floats, to_camera: Floats, to_half: Floats) -> tuple[Floats, Floats]:
        """The light that a surface sends to the camera, as a share of the light.

        Args:
            to_light: Cosines between the surface's normal and the direction to the light.
            to_camera: The same with the direction to the camera, positive.
            to_half: The same with the direction half-way between these two.

        Returns:
            The matte part, to be multiplied with the surface's color, and the coat's, which has the light's color.
            Source of the latter: Walter et al., "Microfacet models for refraction through rough surfaces", 2007,
            with Schlick's approximation of its shadowing.
        """
        kind = to_light.dtype.type
        facing = np.maximum(to_light, kind(0))
        squared = kind(self.roughness**4)
        narrow = to_half * to_half * (squared - kind(1)) + kind(1)
        half = kind(self.roughness**2 / 2)
        shadowing = (facing * (kind(1) - half) + half) * (to_camera * (kind(1) - half) + half)
        coat = kind(self.coat / 4) * squared * facing / (narrow * narrow * shadowing)
        return facing + kind(self.ambient), coat

    @staticmethod
    def exposed(radiance: Floats) -> Floats:
        """Image values, 0 to 1: x^1.5 / (1 + x^1.5), a curve with a toe and a shoulder.

        Source: Naka and Rushton, "S-potentials from colour units in the retina of fish", 1966; tone curves of
        renderers have its shape.
        """
        contrasted = radiance * np.sqrt(radiance)  # roots and products have the same bits everywhere
        value: Floats = contrasted / (1 + contrasted)
        return value


LIGHT = Light()
"""The light of all simulated data sets."""
