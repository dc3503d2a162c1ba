"""What a file holds, and what is wrong with a spec or a recording: behind `ncyber inspect` and `ncyber validate`."""
