"""Pictures of a cluster. Everything here reads through the API alone, so it works on any cluster.

| module | what it draws |
|---|---|
| `topology`, `topology_dot`, `near` | a Service, its slices, endpoints and pods, on nodes in zones; near misses |
| `sequence`, `steps`, `involved` | who wrote what, when, from a story |
| `packing` | the places of slices, before and after |
| `timeline` | the states of endpoints over time |
| `rules`, `rules_svg` | the chains that a packet goes through |
| `scale`, `chart` | bytes and writes against endpoints and nodes |
| `requests` | who answered |
| `diagram`, `canvas`, `layout`, `palette`, `text`, `lookup` | what all of them use |

Every picture is a :class:`epkit.views.diagram.Diagram`: a sentence and an SVG on a white card.
"""
