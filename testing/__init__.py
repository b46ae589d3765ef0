"""What tests, benchmarks and the command line share: scripted stages, virtual time, replays."""
