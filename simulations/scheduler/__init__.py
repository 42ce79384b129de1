"""The virtual kube-scheduler: its queue, filters and scores as those of the real one, without preemption."""

from simulations.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
