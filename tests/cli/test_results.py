from metaf2n_tf.commands.runs import results


def test_records_are_kept_replaced_and_sorted(tmp_path):
    results.write_results(tmp_path, {"b.png": {"photo": "b.png", "faces": 1}})
    records = results.read_results(tmp_path)
    records["a.png"] = {"photo": "a.png", "faces": 0}
    records["b.png"] = {"photo": "b.png", "faces": 2}
    results.write_results(tmp_path, records)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert lines == ['{"photo": "a.png", "faces": 0}', '{"photo": "b.png", "faces": 2}']


def test_foreign_lines_are_left_out(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"photo": "a.png"}\n{"pho\n[1]\n\n{"other": 1}\n{"photo": 5}\n')
    assert list(results.read_results(tmp_path)) == ["a.png"]
    assert results.read_results(tmp_path / "empty") is None
