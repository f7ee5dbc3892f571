"""What Java is told: wherever rows go from Spark to Python, locally and on platforms; and where it ends soon."""

# Rows on their way are written unchecked: Arrow's checks of every access cost a fifth of extraction and more.
ARROW = "-Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false"
# Compiled in one quick step, garbage collected by one thread: what pays in a long life is half the work of a short one.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
