"""Linear-Gaussian games: closed-form responses, objectives and estimators."""
