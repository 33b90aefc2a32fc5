import Logging
import TunnelCore

/// Writes each hop that a dial passes to the log, at debug.
enum HopLog {
    /// An observer that writes to this log; nil if it does not take debug lines.
    static func observer(_ logger: Logger) -> HopObserver? {
        guard logger.logLevel <= .debug else { return nil }
        return { fact in
            logger.debug("hop passed", metadata: metadata(fact))
        }
    }

    private static func metadata(_ fact: HopFact) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "hop": "\(fact.hop.rawValue)", "took_ms": .number(milliseconds(fact.time)),
        ]
        switch fact.content {
        case .lookedUp(let name, let addresses):
            metadata["name"] = "\(name)"
            metadata["addresses"] = "\(addresses.joined(separator: " "))"
        case .connected(let address):
            metadata["address"] = "\(address)"
        case .proxied(let passage):
            if !passage.offeredSchemes.isEmpty {
                metadata["offers"] = "\(passage.offeredSchemes.joined(separator: " "))"
            }
            if let scheme = passage.scheme { metadata["scheme"] = "\(scheme.rawValue)" }
            if let answer = passage.answer { metadata["answer"] = "\(answer.statusLine)" }
            metadata["requests"] = .number(passage.requests)
        case .secured(let facts):
            metadata["host"] = "\(facts.host)"
            metadata["version"] = "\(facts.version)"
        case .upgraded(let answer):
            if let server = answer.server { metadata["server"] = "\(server)" }
            if let via = answer.via { metadata["via"] = "\(via)" }
        case .session(let software, let key, let isResumed):
            metadata["begins"] = "\(!isResumed)"
            if !isResumed {
                metadata["software"] = "\(software)"
                metadata["sealed"] = "\(key?.fingerprint ?? "no")"
            }
        }
        return metadata
    }

    /// Milliseconds with one decimal: `12.3`.
    private static func milliseconds(_ time: Duration) -> Double { (time / .microseconds(100)).rounded() / 10 }
}
