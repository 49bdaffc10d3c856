"""The leaderboard: exact times, profiles and scores as pure functions over tables."""
