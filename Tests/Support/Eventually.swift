/// An event that a test waited for did not happen, or a condition does not hold.
public struct ScenarioFailure: Error, CustomStringConvertible {
    /// The event, the time limit, and the state.
    public let description: String

    /// - Parameter description: the whole sentence.
    public init(description: String) {
        self.description = description
    }
}

/// Throws if a condition does not hold. Threads use it, because an expectation on a thread has no test.
public func require(_ condition: Bool, _ found: @autoclosure () -> String) throws {
    if !condition { throw ScenarioFailure(description: found()) }
}

/// The least number of checks before a test gives up.
private let minimumChecks = 100

/// Waits for an event, and checks every few milliseconds.
///
/// The condition is checked once more after the deadline, and more than 100 times in all. So a slow machine delays a
/// test and does not fail it. If hundreds of tests begin at once, the first two checks may be 30 s apart.
///
/// - Parameters:
///   - what: the event, as a claim.
///   - limit: the time after which to give up.
///   - found: describes the present state, for the error.
///   - event: returns nil before the event.
public func eventually<T: Sendable>(
    _ what: String,
    within limit: Duration = .seconds(20),
    found: @Sendable () -> String = { "" },
    _ event: @Sendable () throws -> T?
) async throws -> T {
    let deadline = ContinuousClock.now + limit
    var checks = 0
    while true {
        checks += 1
        let isLast = ContinuousClock.now > deadline && checks > minimumChecks
        if let value = try event() { return value }
        if isLast { throw ScenarioFailure(description: "not within \(limit): \(what). \(found())") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Waits until a condition holds.
public func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    found: @Sendable () -> String = { "" },
    _ condition: @Sendable () throws -> Bool
) async throws {
    _ = try await eventually(what, within: limit, found: found) { () -> Bool? in try condition() ? true : nil }
}
