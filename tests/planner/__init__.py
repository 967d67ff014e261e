"""The pure decisions: news, versions, compatibility, candidates, what is due."""
