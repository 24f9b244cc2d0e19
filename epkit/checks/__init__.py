"""Exercises that check themselves, predictions, quizzes and progress."""
