"""The evaluation computes metrics with bootstrap errors, the robustness, the tables and the summary."""
