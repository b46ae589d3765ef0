"""How a face moves: visemes, blinks, head motion, the idle loop."""
