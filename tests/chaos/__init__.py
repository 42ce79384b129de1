"""Chaos on the real control plane: the controller is killed, the world misbehaves, and the invariants hold.

`make chaos` runs both parts; docs/reliability.md has the figures.

* `history.py`, `recorder.py`: what happened, as the API server's watches told it;
* `invariants.py`: what must never happen, checked on that history;
* `scene.py`, `agents.py`: the fleet, the controller that is killed, and node agents;
* `human.py`: what a human operator does with nodes that are left alone;
* `demand.py`, `moments.py`, `kills.py`: pods that force real changes, and SIGKILL at chosen moments of them;
* `faults.py`, `breakages.py`: the catalogue of faults;
* `rounds.py`, `injections.py`: each of them on many nodes at once;
* `journal.py`, `report.py`: what was done so far; tables and JSON.
"""
