def draw_run(run, translator, sentences):
    pass
