"""From predictions to accuracies, comparisons, verdicts and theoretical cost."""
