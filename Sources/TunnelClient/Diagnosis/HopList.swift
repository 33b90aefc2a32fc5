import Synchronization

/// The hops of a dial, which come from an event loop, and are judged in order apart from it.
final class HopList: Sendable {
    private struct State {
        var facts: [HopFact] = []
        var onFact: (@Sendable (HopFact) -> Void)?
        var judging: Task<Void, Never>?
    }

    private let state = Mutex(State())

    /// The hops of the last dial.
    var all: [HopFact] { state.withLock { $0.facts } }

    func begin(_ onFact: @escaping @Sendable (HopFact) -> Void) {
        state.withLock { state in
            state.facts = []
            state.onFact = onFact
        }
    }

    func append(_ fact: HopFact) {
        state.withLock { state in
            state.facts.append(fact)
            guard let onFact = state.onFact else { return }
            let before = state.judging
            state.judging = Task {
                await before?.value
                onFact(fact)
            }
        }
    }

    /// Returns once all hops so far are judged.
    func finish() async {
        await state.withLock { $0.judging }?.value
    }
}
