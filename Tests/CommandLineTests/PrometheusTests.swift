import CoreMetrics
import Testing

@testable import culvert

@Suite("Prometheus' text")
struct PrometheusTests {
    @Test("Each kind of metric has exactly this text")
    func exposition() {
        let registry = PrometheusRegistry(help: [
            "b_total": "What b is.", "a": "Two lines\nand a \\ backslash with \"quotes\".",
        ])
        registry.makeCounter(label: "b_total", dimensions: [("reason", "x")]).increment(by: 2)
        registry.makeCounter(label: "b_total", dimensions: [("reason", "a")]).increment(by: 1)
        registry.makeCounter(label: "b_total", dimensions: [("reason", "x")]).increment(by: 3)
        let meter = registry.makeMeter(label: "a", dimensions: [])
        meter.set(Int64(5))
        meter.increment(by: 0.5)
        meter.decrement(by: 1)
        let summary = registry.makeRecorder(label: "d_bytes", dimensions: [("z", "1"), ("y", "2")], aggregate: true)
        summary.record(Int64(10))
        summary.record(0.25)
        registry.makeRecorder(label: "e", dimensions: [], aggregate: false).record(Int64(-7))
        registry.makeFloatingPointCounter(label: "f_seconds_total", dimensions: []).increment(by: 1.5)
        #expect(
            registry.exposition() == """
                # HELP a Two lines\\nand a \\\\ backslash with "quotes".
                # TYPE a gauge
                a 4.5
                # HELP b_total What b is.
                # TYPE b_total counter
                b_total{reason="a"} 1
                b_total{reason="x"} 5
                # TYPE d_bytes summary
                d_bytes_sum{y="2",z="1"} 10.25
                d_bytes_count{y="2",z="1"} 2
                # TYPE e gauge
                e -7
                # TYPE f_seconds_total counter
                f_seconds_total 1.5

                """
        )
    }

    @Test("A histogram's bucket counts all times up to its bound")
    func histogram() {
        let registry = PrometheusRegistry()
        let timer = registry.makeTimer(label: "t_seconds", dimensions: [("hop", "tls")])
        for milliseconds in [0, 1, 2, 100, 11_000] as [Int64] { timer.recordNanoseconds(milliseconds * 1_000_000) }
        #expect(
            registry.exposition() == """
                # TYPE t_seconds histogram
                t_seconds_bucket{hop="tls",le="0.001"} 2
                t_seconds_bucket{hop="tls",le="0.0025"} 3
                t_seconds_bucket{hop="tls",le="0.005"} 3
                t_seconds_bucket{hop="tls",le="0.01"} 3
                t_seconds_bucket{hop="tls",le="0.025"} 3
                t_seconds_bucket{hop="tls",le="0.05"} 3
                t_seconds_bucket{hop="tls",le="0.1"} 4
                t_seconds_bucket{hop="tls",le="0.25"} 4
                t_seconds_bucket{hop="tls",le="0.5"} 4
                t_seconds_bucket{hop="tls",le="1"} 4
                t_seconds_bucket{hop="tls",le="2.5"} 4
                t_seconds_bucket{hop="tls",le="5"} 4
                t_seconds_bucket{hop="tls",le="10"} 4
                t_seconds_bucket{hop="tls",le="+Inf"} 5
                t_seconds_sum{hop="tls"} 11.103
                t_seconds_count{hop="tls"} 5

                """
        )
    }

    @Test(
        "Labels' values cannot leave their quotes or their line",
        arguments: [
            (#"a"b"#, #"a\"b"#), (#"a\b"#, #"a\\b"#), ("a\nb", #"a\\u{A}b"#), ("\u{1B}[31m", #"\\u{1B}[31m"#),
            ("\u{202E}x", #"\\u{202E}x"#), ("ü", "ü"), ("", ""),
        ]
    )
    func values(_ value: String, _ escaped: String) {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a_total", dimensions: [("name", value)]).increment(by: 1)
        #expect(registry.exposition() == "# TYPE a_total counter\na_total{name=\"\(escaped)\"} 1\n")
    }

    @Test("A value is truncated after 128 scalars")
    func longValue() {
        let registry = PrometheusRegistry()
        let value = String(repeating: "x", count: 1_000)
        registry.makeCounter(label: "a_total", dimensions: [("name", value)]).increment(by: 1)
        let cut = String(repeating: "x", count: 128) + "…"
        #expect(registry.exposition().hasSuffix("a_total{name=\"\(cut)\"} 1\n"))
    }

    @Test(
        "An illegal name becomes a legal one",
        arguments: [
            ("a.b-c", "a_b_c"), ("1a", "_1a"), ("", "_"), ("a:b", "a:b"), ("a{x=\"1\"} 5\nb", "a_x__1___5_b"),
            ("größe", "gr____e"),
        ]
    )
    func names(_ label: String, _ name: String) {
        #expect(MetricText.name(label) == name)
    }

    @Test(
        "A label cannot have a reserved name, and a repeated label counts once",
        arguments: [("a:b", "a_b"), ("__name__", "label___name__"), ("le", "label_le"), ("quantile", "label_quantile")]
    )
    func labelNames(_ text: String, _ name: String) {
        #expect(MetricLabels([(text, "1"), (text, "2")]).text == "{\(name)=\"1\"}")
    }

    @Test("From the 64th series on, new ones share one series, whose labels are \"other\"")
    func cardinality() {
        let registry = PrometheusRegistry()
        for index in 0..<1_000 {
            registry.makeCounter(label: "a_total", dimensions: [("x", "\(index)")]).increment(by: 1)
        }
        let lines = registry.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count == PrometheusRegistry.maximumSeries)
        #expect(lines.contains("a_total{x=\"other\"} 937"))
        // Earlier series still count.
        registry.makeCounter(label: "a_total", dimensions: [("x", "3")]).increment(by: 1)
        #expect(registry.exposition().contains("a_total{x=\"3\"} 2\n"))
    }

    @Test("A registry has at most 256 names")
    func families() {
        let registry = PrometheusRegistry()
        for index in 0..<300 { registry.makeCounter(label: "a\(index)_total", dimensions: []).increment(by: 1) }
        #expect(registry.exposition().split(separator: "\n").count == 2 * PrometheusRegistry.maximumFamilies)
    }

    @Test("A name has one kind, and a metric of another kind is not in the text")
    func conflict() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a", dimensions: []).increment(by: 1)
        registry.makeMeter(label: "a", dimensions: []).set(Int64(9))
        #expect(registry.exposition() == "# TYPE a counter\na 1\n")
    }

    @Test("A destroyed metric is removed, and begins at zero if it is created again")
    func destroyed() {
        let registry = PrometheusRegistry()
        let counter = registry.makeCounter(label: "a_total", dimensions: [("x", "1")])
        counter.increment(by: 4)
        registry.destroyCounter(counter)
        #expect(registry.exposition().isEmpty)
        registry.makeCounter(label: "a_total", dimensions: [("x", "1")]).increment(by: 1)
        #expect(registry.exposition().hasSuffix("a_total{x=\"1\"} 1\n"))
    }

    @Test(
        "A number has the form of Prometheus",
        arguments: [
            (0, "0"), (-0.5, "-0.5"), (1e15, "1000000000000000"), (1e-7, "1e-07"), (.infinity, "+Inf"),
            (-.infinity, "-Inf"), (.nan, "NaN"), (1e300, "1e+300"),
        ] as [(Double, String)]
    )
    func numbers(_ value: Double, _ text: String) {
        #expect(MetricText.number(value) == text)
    }
}
