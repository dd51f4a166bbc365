"""Who is asking, what they may see, and the one gate through which a record leaves."""
