"""When a change may start: budgets, canary, breaker, pace and fairness, and no going back and forth."""
