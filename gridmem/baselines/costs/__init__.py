"""What a run costs, before it is compiled and as measured."""
