"""The exercises and quizzes of each chapter: a file a chapter."""
