"""What Java is told wherever rows go from Spark to Python: locally, and in jobs that are rendered for a platform."""

# Rows on their way are written unchecked: Arrow's checks of every access cost a fifth of extraction and more.
ARROW = "-Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false"
