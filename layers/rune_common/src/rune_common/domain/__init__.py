"""What Rune knows: runs, events, access and the rules about them. No vendor is imported here."""
