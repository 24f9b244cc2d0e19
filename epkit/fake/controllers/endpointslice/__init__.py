"""The EndpointSlice controller. Chapter 3 opens :mod:`~epkit.fake.controllers.endpointslice.reconciler`."""
from epkit.fake.controllers.endpointslice.controller import EndpointSliceController

__all__ = ["EndpointSliceController"]
