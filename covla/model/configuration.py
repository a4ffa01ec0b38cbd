"""What a CoVLA model is made of: widths, switches, labels. Written to config.json."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from covla.errors import CovlaError
from covla.model.model_config import CONTEXT_NODES, DEFAULT_CONTEXT, grid_of

ALIGNMENTS = ("cam", "paper", "mean", "xattn", "sgmft")
FUSIONS = ("cmf", "gate", "concat", "late", "text", "image")

# What training finds in posts, encoders and teacher, and nobody sets by hand.
SET_BY_TRAINING = frozenset({
    "encoders", "encoder_id", "text_width", "image_width", "regions", "labels", "languages",
    "text_quality", "image_quality", "teacher_width", "with_towers", "support",
    "softmax_temperature",
})  # fmt: skip


class CovlaConfig(PreTrainedConfig):  # type: ignore[misc]
    """Configuration of `CovlaModel`.

    Args:
        encoders: what the towers are, as `covla.model.towers` describes them.
        encoder_id: hash of the towers' weights, so that equal towers can be shared.
        text_width, image_width, regions: d_T, d_V and R of the towers' outputs.
        labels: the taxonomy in its order; C labels.
        width: d, the common width (docs/model.md, section 2; ours).
        image_components: principal components of a region that are kept before the projection to
            the common width; 0 keeps all of it.
        label_nodes, support: whether labelled posts are part of the context, and how many the
            model holds; set by training, 0 for none (docs/adr/0013-label-nodes.md).
        graph, graph_layers, window, neighbours: the context graph (paper: that there is one);
            off by default, see docs/adr/0008-context-graph.md.
        graph_gain: initial scale of the graph layers' LayerNorm; 1 is the usual one.
        alignment: `cam` has a learnable temperature, `paper` tau = 1, `mean` pools instead;
            `xattn` and `sgmft` are baselines.
        fusion: `cmf`; `gate` (no context in the gate), `concat`, `late`, `text`, `image` are
            baselines and ablations.
        context_nodes: which nodes of `CONTEXT_NODES` are used, by default `DEFAULT_CONTEXT`; may
                be empty.
        languages: ISO 639-1 codes that have their own weight; all others share one.
        text_quality, image_quality: names of the quality measures in their order.
        dropout: on the fused vector h_F, and in the layers of cross-attention.
        modality_dropout, context_dropout, feature_noise: training only; the chance to hide one
            modality of a post, the chance to hide a context node, and the standard deviation of
            Gaussian noise on the projected features.
        kd_weight, kd_literal: lambda, and whether L_KD is a bare sum (paper) or a mean (ours).
        teacher_width: width of the teacher's vectors, 0 for no teacher.
        softmax_temperature: what logits are divided by before softmax, fitted on held-out posts.
        with_towers: whether the towers' weights are part of this model.

    Raises:
        CovlaError: a switch with an unknown value; it names the field.
    """

    model_type = "covla"

    def __init__(
        self,
        encoders: dict[str, Any] | None = None,
        encoder_id: str = "",
        text_width: int = 384,
        image_width: int = 1280,
        regions: int = 49,
        labels: list[str] | None = None,
        width: int = 256,
        image_components: int = 256,
        label_nodes: bool = True,
        support: int = 0,
        graph: bool = False,
        graph_layers: int = 2,
        graph_gain: float = 0.1,
        window: int = 2,
        neighbours: int = 4,
        alignment: str = "cam",
        fusion: str = "cmf",
        context_nodes: list[str] | None = None,
        languages: list[str] | None = None,
        text_quality: list[str] | None = None,
        image_quality: list[str] | None = None,
        dropout: float = 0.3,
        modality_dropout: float = 0.1,
        context_dropout: float = 0.3,
        feature_noise: float = 0.1,
        kd_weight: float = 25.0,
        kd_literal: bool = False,
        teacher_width: int = 0,
        softmax_temperature: float = 1.0,
        with_towers: bool = False,
        **kwargs: Any,
    ) -> None:
        for field, value, allowed in (
            ("alignment", alignment, ALIGNMENTS),
            ("fusion", fusion, FUSIONS),
            *(("context_nodes", node, CONTEXT_NODES) for node in context_nodes or ()),
        ):
            if value not in allowed:
                raise CovlaError(f"{field}: {value!r} is not one of {', '.join(allowed)}")
        self.encoders: Any = encoders or {}
        self.encoder_id = encoder_id
        self.text_width, self.image_width, self.regions = text_width, image_width, regions
        self.width, self.image_components = width, image_components
        self.label_nodes, self.support = label_nodes, support
        self.graph, self.graph_layers, self.graph_gain = graph, graph_layers, graph_gain
        self.window, self.neighbours = window, neighbours
        self.alignment, self.fusion = alignment, fusion
        self.context_nodes = list(DEFAULT_CONTEXT if context_nodes is None else context_nodes)
        self.languages = list(languages or ["en"])
        self.text_quality = list(text_quality or [])
        self.image_quality = list(image_quality or [])
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.context_dropout, self.feature_noise = context_dropout, feature_noise
        self.kd_weight, self.kd_literal = kd_weight, kd_literal
        self.teacher_width = teacher_width
        self.softmax_temperature = softmax_temperature
        self.with_towers = with_towers
        if labels is not None:
            kwargs["id2label"] = dict(enumerate(labels))
            kwargs["label2id"] = {name: i for i, name in enumerate(labels)}
        super().__init__(**kwargs)

    @property
    def labels(self) -> list[str]:
        """The labels in the order of every probability vector."""
        return [self.id2label[i] for i in range(len(self.id2label))]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; regions that fill no square are one row."""
        return grid_of(self.regions)


AutoConfig.register("covla", CovlaConfig)  # AutoTokenizer asks for it in a model folder
