import Tunnel

/// Reads the options of a session's carriers, from flags or a file.
enum CarrierOptions {
    /// - Parameter failure: makes an error from a description.
    static func count<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> CarrierCount {
        do throws(CarrierCount.Malformed) { return try CarrierCount(text) } catch { throw failure(error.description) }
    }

    /// - Parameter failure: makes an error from a description.
    static func spread<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> CarrierSpread {
        guard let spread = CarrierSpread(rawValue: text) else { throw failure("expected same or spread") }
        return spread
    }
}
