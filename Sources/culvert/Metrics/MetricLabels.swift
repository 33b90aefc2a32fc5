/// The labels of a series, in a form that the text takes as it is.
struct MetricLabels: Sendable, Hashable {
    private struct Label: Sendable, Hashable {
        let name: String
        var value: String
    }

    private var labels: [Label]

    /// Repairs names, cuts values, and sorts. Where a name comes twice the first one counts.
    init(_ dimensions: [(String, String)]) {
        var labels: [Label] = []
        for (name, value) in dimensions {
            let name = MetricText.labelName(name)
            guard !labels.contains(where: { $0.name == name }) else { continue }
            labels.append(Label(name: name, value: MetricText.labelValue(value)))
        }
        self.labels = labels.sorted { $0.name < $1.name }
    }

    /// Where the numbers of further series go: the same labels, with no value of their own.
    var overflow: MetricLabels {
        var result = self
        for index in result.labels.indices { result.labels[index].value = "other" }
        return result
    }

    /// `{name="value",other="value"}`, or nothing where there is no label.
    var text: String { Self.text(labels) }

    /// The same with one label more.
    func text(adding name: String, _ value: String) -> String {
        Self.text(labels + [Label(name: name, value: value)])
    }

    private static func text(_ labels: [Label]) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { "\($0.name)=\"\(MetricText.escapedValue($0.value))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }
}
