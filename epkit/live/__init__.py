"""The live view: a Service, followed while it changes, with a clock to hold and a past to go back to.

    cluster.live("svc/web")

:mod:`~epkit.live.feed` tells what was written and how time moves; :mod:`~epkit.live.tape` keeps it, to be wound to any
moment; :mod:`~epkit.live.changes` compares slices; :mod:`~epkit.live.page` writes the HTML; :mod:`~epkit.live.pulse`
says when; :mod:`~epkit.live.view` puts it together with its controls.
"""
