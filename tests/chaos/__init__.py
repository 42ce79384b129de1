"""Chaos on the real control plane: the controller is killed, the world misbehaves, and the invariants hold.

`make chaos` runs both parts; docs/reliability.md has the figures.

* `history.py`: what happened, as the API server's watches told it;
* `invariants.py`: what must never happen, checked on that history;
* `scene.py`: the fleet, the controller that is killed, and what a human operator would do;
* `demand.py`: a stream of pods that forces real changes of layout;
* `kills.py`: SIGKILL at chosen moments, in every phase;
* `faults.py`, `injections.py`: the catalogue of faults, and how each is injected on many nodes at once;
* `report.py`: tables and JSON.
"""
