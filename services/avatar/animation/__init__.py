"""The motion of a face: visemes, blinks, head motion and the idle loop."""
