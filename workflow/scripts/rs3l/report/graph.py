"""Draw the graph of the rules as SVG, without graphviz; a test compares it with ``snakemake --rulegraph``."""

from __future__ import annotations

import html

import networkx as nx

from rs3l.config import blocks
from rs3l.config.campaign import Campaign

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 132, 30, 46, 16


def rule_graph(config: Campaign) -> nx.DiGraph:
    """Return the rules that a campaign needs and what each waits for; all rules that draw figures are one node."""
    edges = _source_edges(config) if config.source else _simulation_edges(config)
    made = "import_dataset" if config.source else "merge"
    trained = any(blocks.imported_model(config, run) is None for run in blocks.runs(config))
    users = ("embed", "quality", "finetune")
    edges += [(made, "pretrain"), *(("pretrain", rule) for rule in users)] if trained else []
    edges += [(made, rule) for rule in users]
    edges += [("embed", "figures"), ("quality", "evaluate")]
    edges += [("finetune", "score"), ("score", "measure"), ("measure", "evaluate")]
    edges += [("evaluate", "figures"), ("figures", "report")]
    return nx.transitive_reduction(nx.DiGraph(edges))


def _simulation_edges(config: Campaign) -> list[tuple[str, str]]:
    simulated = ["resimulate"] if blocks.own_variants(config) else []
    simulated += ["resimulate_together"] if blocks.shared_variants(config) else []
    from_files = any(process.lhe_patterns for process in config.processes.values())
    edges = [("index_lhe", "hard_process")] if from_files else []
    edges += [("pileup", rule) for rule in simulated if blocks.has_pileup(config)]
    return edges + [edge for rule in simulated for edge in (("hard_process", rule), (rule, "merge"))]


def _source_edges(config: Campaign) -> list[tuple[str, str]]:
    assert config.source is not None
    return [("import_file", "import_dataset")] if config.source.patterns else []


def layout(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Return the centre of each node [px]. Each generation has a column, whose nodes stand around the middle."""
    layers = nx.DiGraph()
    for layer, names in enumerate(nx.topological_generations(graph)):
        layers.add_nodes_from(sorted(names), layer=layer)
    places = nx.multipartite_layout(layers, subset_key="layer")
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    step = max((place[0] for place in places.values()), default=0.0) - left
    unit = step / max(nx.get_node_attributes(layers, "layer").values()) or 1.0
    return {
        name: (
            10 + _WIDTH / 2 + (x - left) / unit * (_WIDTH + _GAP_X),
            10 + _HEIGHT / 2 + (y - top) / unit * (_HEIGHT + _GAP_Y),
        )
        for name, (x, y) in places.items()
    }


def graph_svg(config: Campaign) -> str:
    """Return the picture."""
    graph = rule_graph(config)
    places = layout(graph)
    width = max(x for x, _ in places.values()) + _WIDTH / 2 + 10
    height = max(y for _, y in places.values()) + _HEIGHT / 2 + 10
    lines = [_line(*places[first], *places[second]) for first, second in graph.edges]
    boxes = [_box(name, *place) for name, place in places.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="Helvetica, Arial, sans-serif" font-size="13">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="#555"/></marker></defs>'
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>{"".join([*lines, *boxes])}</svg>'
    )


def _line(x: float, y: float, u: float, v: float) -> str:
    start, end = x + _WIDTH / 2, u - _WIDTH / 2
    middle = 0.5 * (start + end)
    return (
        f'<path d="M {start:g} {y:g} C {middle:g} {y:g} {middle:g} {v:g} {end:g} {v:g}" fill="none" '
        'stroke="#555" marker-end="url(#tip)"/>'
    )


def _box(name: str, x: float, y: float) -> str:
    return (
        f'<rect x="{x - _WIDTH / 2:g}" y="{y - _HEIGHT / 2:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="#eef3fb" stroke="#3b6ea5"/>'
        f'<text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle" fill="#222">{html.escape(name)}</text>'
    )
