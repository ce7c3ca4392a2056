"""What `Swim` decides, and the state that it decides on; its caller sees none of it."""
