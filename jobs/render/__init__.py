"""Job files for the platforms that Scarce runs on, made from one run file and one platform file."""
