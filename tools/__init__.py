"""What builds and guards the repository; nothing here ships."""
