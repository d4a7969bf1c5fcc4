/** Tests with a drawing: when one fails, it shows what the two hosts said to each other. */
import { test } from 'node:test'
import type { World } from './world.ts'

/** A test whose worlds are drawn when it fails. */
export function scenario(name: string, body: () => void): void {
  test(name, () => {
    const worlds: World[] = []
    watched = worlds
    try {
      body()
    } catch (error) {
      const drawing = worlds.map((world) => `\n\n${world.ladder}`).join('')
      // The reporter shows the stack, which has the message in it.
      if (error instanceof Error) error.stack = `${error.stack}${drawing}\n`
      throw error
    } finally {
      watched = undefined
    }
  })
}

/** Has this world drawn if the scenario fails. */
export function watch(world: World): void {
  watched?.push(world)
}

let watched: World[] | undefined
