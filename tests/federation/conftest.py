"""What the federations of this folder share with the portal's tests."""

from tests.portal.conftest import patient_pages

__all__ = ["patient_pages"]
