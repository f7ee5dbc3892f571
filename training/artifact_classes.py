"""Where the class lies that reads the files of each trainer's artifact, as text: listing them imports none of them."""

ARTIFACTS = {
    **dict.fromkeys(
        (
            "scarcegan",
            "scarcegan_no_bad_generator",
            "scarcegan_no_leeway",
            "leeway_mlp",
            "mlp",
            "ssgan",
            "torch_mlp",
            "devnet",
        ),
        "training.dense_network:DenseNetworkArtifact",
    ),
    "aae": "training.keras.aae_artifact:AAEArtifact",
    "qast": "training.torch.qast.artifact:QASTArtifact",
    "mgvae": "training.torch.mgvae.artifact:MGVAEArtifact",
    "imsic": "training.torch.imsic.artifact:IMSICArtifact",
    "importance_vector": "training.torch.importance.artifact:ImportanceVectorArtifact",
    "logistic_regression": "training.baselines.linear:LogisticRegressionArtifact",
    "kernel_logistic_regression": "training.baselines.kernel:KernelArtifact",
    **dict.fromkeys(
        ("gradient_boosting", "gradient_boosting_plain", "smote_boosting", "self_training"),
        "training.baselines.boosting:GradientBoostingArtifact",
    ),
    **dict.fromkeys(
        ("random_forest", "extra_trees", "isolation_forest", "xgboost"),
        "training.baselines.trees_artifact:TreesArtifact",
    ),
    "xgbod": "training.baselines.xgbod_artifact:XGBODArtifact",
    "auto": "training.auto.artifact:AutoArtifact",
    "ensemble": "training.ensemble_artifact:EnsembleArtifact",
}
