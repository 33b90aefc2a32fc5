import Synchronization

/// Finds loopback ports for programs that cannot choose one.
///
/// The ports are below the range of the kernel's outgoing connections, so no connection of a test can take one. No port
/// is returned twice. Single ports and runs have ranges of their own, so that single ones leave room for runs.
public enum FreePorts {
    private static let used = Mutex<Set<UInt16>>([])

    /// A port on which no socket listens.
    public static func next() throws -> UInt16 {
        for _ in 0..<1_000 {
            let port = UInt16.random(in: 10_000..<22_000)
            guard used.withLock({ $0.insert(port).inserted }) else { continue }
            if let listener = try? TCPListener(port: port) {
                listener.close()
                return port
            }
        }
        throw ScenarioFailure(description: "no free port")
    }

    /// Consecutive ports on which no socket listens.
    ///
    /// - Returns: the first port.
    public static func run(of count: UInt16) throws -> UInt16 {
        for _ in 0..<1_000 {
            let ports = UInt16.random(in: 22_000..<(32_000 - count))...
            let run = Array(ports.prefix(Int(count)))
            guard used.withLock({ $0.isDisjoint(with: run) }) else { continue }
            let listeners = run.compactMap { try? TCPListener(port: $0) }
            for listener in listeners { listener.close() }
            guard listeners.count == run.count else { continue }
            used.withLock { $0.formUnion(run) }
            return run[0]
        }
        throw ScenarioFailure(description: "no \(count) free ports in a row")
    }
}
