"""The federation doors: free GraphQL for the own people and their gateway; every question meets a gate."""
