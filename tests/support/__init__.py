"""What the tests share: toys, servers, writers of files, and the workflow in a folder of its own."""
