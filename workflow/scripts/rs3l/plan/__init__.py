"""The cost of a campaign before it starts, as jobs, core hours, memory and disk of each stage.

A stage's work is counted from the configuration; its cost per job and per unit of work was measured. Both the
counting and the scaling are linear, so that a plan is as good as the measurement. Costs of other settings (VINCIA,
a tune, another cut) differ, and a training's number of epochs before it stops is not known in advance.
"""

from rs3l.plan.costs import Cost, CostTable, EncoderCost, encoder_name, load_costs, network_work
from rs3l.plan.lines import Line, Machines, plan, scaled, scope_of
from rs3l.plan.measured import held_kb, measured, peak_memory
from rs3l.plan.stages import ALL_STAGES, STAGES, stages_of, work_of
from rs3l.plan.text import text
from rs3l.plan.work import Scope, Work

__all__ = [
    "ALL_STAGES",
    "STAGES",
    "Cost",
    "CostTable",
    "EncoderCost",
    "Line",
    "Machines",
    "Scope",
    "Work",
    "encoder_name",
    "held_kb",
    "load_costs",
    "measured",
    "network_work",
    "peak_memory",
    "plan",
    "scaled",
    "scope_of",
    "stages_of",
    "text",
    "work_of",
]
